// An example of a consumer in JavaScript: checks every record against its JSON Schema, and prints each new hospital.
//
//     npm ci && KAFKA_BOOTSTRAP_SERVERS=localhost:9092 node consumer.js
//
// UNTIL_END=1 stops at what is now the end, and prints what was found. A record that is not as its schema says ends
// with status 1 then. docs/consuming.md says what else a consumer should do.
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { Kafka, logLevel } from "kafkajs";

const { KAFKA_BOOTSTRAP_SERVERS = "localhost:9092", KAFKA_TOPIC_PREFIX: prefix = "", CONSUMER_GROUP, UNTIL_END } = process.env;
const SCHEMAS = new URL(process.env.SCHEMAS ?? "../../../shared/contract/schemas/", import.meta.url);
const topics = ["rows.express", "rows.bulk", "results", "jobs", "processors"].map(name => `${prefix}hospital.${name}`);
const groupId = CONSUMER_GROUP ?? `${prefix}example-javascript`;

const ajv = new Ajv2020({ strict: false });
addFormats.default(ajv);
const checks = new Map(readdirSync(SCHEMAS).filter(name => name.endsWith(".json")).map(
  name => [name, ajv.compile(JSON.parse(readFileSync(new URL(name, SCHEMAS), "utf8")))],
));

const found = { records: 0, invalid: 0, unknown: 0, repeats: 0, clashes: 0 };
// What each id stood for. A real consumer keeps ids where it keeps its work, in one transaction with it.
const seen = new Map();

function handle({ headers, value }) {
  const header = name => headers[name]?.toString();
  found.records += 1;
  const check = checks.get(header("ce_dataschema")?.split("/").at(-1) ?? `${header("ce_type")}.json`);
  if (!check) return void (found.unknown += 1); // a newer version writes it
  const text = value?.toString();
  const event = parsed(text);
  if (event === undefined || !check(event)) {
    found.invalid += 1;
    return void console.log(`Invalid: ${header("ce_type")} ${header("ce_id")}: ${event === undefined ? "no JSON" : ajv.errorsText(check.errors)}`);
  }
  const [id, meaning] = [header("ce_id"), `${header("ce_type")} ${event.job_id} ${event.row ?? ""} ${event.round ?? ""}`];
  if (seen.has(id)) return void (found[seen.get(id) === meaning ? "repeats" : "clashes"] += 1);
  seen.set(id, meaning);
  if (header("ce_type") === "RowCreated") console.log(`Created: ${event.name} is hospital ${event.hospital_id}`);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const kafka = new Kafka({ clientId: groupId, brokers: KAFKA_BOOTSTRAP_SERVERS.split(","), logLevel: logLevel.ERROR });
// Committed records only: that is the default here. A new group begins with the first record.
const consumer = kafka.consumer({ groupId, readUncommitted: false });
await consumer.connect();
await consumer.subscribe({ topics, fromBeginning: true });
const passed = new Map();
// Told also of records that are never handed over: the ends of transactions.
consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload: { topic, partition, lastOffset } }) => passed.set(`${topic}:${partition}`, Number(lastOffset)));
await consumer.run({ autoCommitInterval: 1_000, eachMessage: async ({ message }) => handle(message) });

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => consumer.disconnect());
if (UNTIL_END) {
  const admin = kafka.admin();
  await admin.connect();
  const ends = (await Promise.all(topics.map(async topic => (await admin.fetchTopicOffsets(topic)).map(each => ({ topic, ...each }))))).flat();
  await admin.disconnect();
  const isAtEnd = ({ topic, partition, low, high }) => low === high || passed.get(`${topic}:${partition}`) + 1 >= Number(high);
  while (!ends.every(isAtEnd)) await sleep(100);
  await consumer.disconnect();
  console.log(JSON.stringify(found));
  process.exitCode = found.invalid || found.clashes ? 1 : 0;
}
