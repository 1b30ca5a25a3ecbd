import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.networknt.schema.JsonSchema;
import com.networknt.schema.JsonSchemaFactory;
import com.networknt.schema.SpecVersion;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * An example of a consumer in Java: checks every record against its JSON Schema, and prints each new hospital.
 *
 * <p>UNTIL_END=1 stops at what is now the end, and prints what was found. A record that is not as its schema says ends
 * with status 1 then. docs/consuming.md says what else a consumer should do, and how to run it.
 */
public final class Consumer {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Map<String, JsonSchema> schemas;
  /** What each id stood for. A real consumer keeps ids where it keeps its work, in one transaction with it. */
  private final Map<String, String> seen = new HashMap<>();
  private int records;
  private int invalid;
  private int unknown;
  private int repeats;
  private int clashes;

  private Consumer(Map<String, JsonSchema> schemas) {
    this.schemas = schemas;
  }

  public static void main(String[] arguments) throws IOException {
    String prefix = setting("KAFKA_TOPIC_PREFIX", "");
    List<String> topics =
        Stream.of("rows.express", "rows.bulk", "results", "jobs", "processors")
            .map(name -> prefix + "hospital." + name)
            .toList();
    Consumer consumer = new Consumer(read(Path.of(setting("SCHEMAS", "shared/contract/schemas"))));
    boolean untilEnd = !setting("UNTIL_END", "").isEmpty();
    try (KafkaConsumer<byte[], byte[]> kafka = new KafkaConsumer<>(options(prefix))) {
      if (!untilEnd) {
        Runtime.getRuntime().addShutdownHook(new Thread(kafka::wakeup));
      }
      kafka.subscribe(topics);
      consumer.consume(kafka, untilEnd);
    } catch (WakeupException end) {
      // Ctrl-C
    }
    if (untilEnd) {
      System.out.println(consumer.found());
      System.exit(consumer.invalid + consumer.clashes > 0 ? 1 : 0);
    }
  }

  private static Properties options(String prefix) {
    Properties options = new Properties();
    options.put("bootstrap.servers", setting("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092"));
    options.put("group.id", setting("CONSUMER_GROUP", prefix + "example-java"));
    options.put("key.deserializer", ByteArrayDeserializer.class);
    options.put("value.deserializer", ByteArrayDeserializer.class);
    options.put("isolation.level", "read_committed"); // the default would show records of aborted uploads
    options.put("auto.offset.reset", "earliest"); // a new group begins with the first record
    options.put("enable.auto.commit", false);
    return options;
  }

  private void consume(KafkaConsumer<byte[], byte[]> kafka, boolean untilEnd) throws IOException {
    Map<TopicPartition, Long> ends = Map.of();
    while (ends.isEmpty() || !passed(kafka, ends)) {
      for (ConsumerRecord<byte[], byte[]> record : kafka.poll(Duration.ofMillis(500))) {
        handle(record).ifPresent(System.out::println);
      }
      kafka.commitSync();
      if (untilEnd && ends.isEmpty() && !kafka.assignment().isEmpty()) {
        ends = kafka.endOffsets(kafka.assignment());
      }
    }
  }

  private static boolean passed(KafkaConsumer<byte[], byte[]> kafka, Map<TopicPartition, Long> ends) {
    return ends.entrySet().stream().allMatch(end -> kafka.position(end.getKey()) >= end.getValue());
  }

  private Optional<String> handle(ConsumerRecord<byte[], byte[]> record) throws IOException {
    records++;
    String type = header(record, "ce_type");
    String id = header(record, "ce_id");
    String name = header(record, "ce_dataschema");
    JsonSchema schema = schemas.get(name == null ? type + ".json" : name.substring(name.lastIndexOf('/') + 1));
    if (schema == null) { // a newer version writes it
      unknown++;
      return Optional.empty();
    }
    JsonNode event = parsed(record.value());
    var problems = event == null ? null : schema.validate(event);
    if (problems == null || !problems.isEmpty()) {
      invalid++;
      String why = problems == null ? "no JSON" : problems.iterator().next().getMessage();
      return Optional.of("Invalid: " + type + " " + id + ": " + why);
    }
    String meaning = String.join(" ", type, text(event, "job_id"), text(event, "row"), text(event, "round"));
    String known = seen.putIfAbsent(id, meaning);
    if (known != null) {
      repeats += known.equals(meaning) ? 1 : 0;
      clashes += known.equals(meaning) ? 0 : 1;
      return Optional.empty();
    }
    return type.equals("RowCreated")
        ? Optional.of("Created: " + text(event, "name") + " is hospital " + text(event, "hospital_id"))
        : Optional.empty();
  }

  private static JsonNode parsed(byte[] value) {
    try {
      return value == null ? null : JSON.readTree(value);
    } catch (IOException error) {
      return null;
    }
  }

  private String found() {
    return String.format(
        "{\"records\": %d, \"invalid\": %d, \"unknown\": %d, \"repeats\": %d, \"clashes\": %d}",
        records, invalid, unknown, repeats, clashes);
  }

  private static Map<String, JsonSchema> read(Path folder) throws IOException {
    JsonSchemaFactory factory = JsonSchemaFactory.getInstance(SpecVersion.VersionFlag.V202012);
    Map<String, JsonSchema> found = new HashMap<>();
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.filter(each -> each.toString().endsWith(".json")).toList()) {
        found.put(file.getFileName().toString(), factory.getSchema(Files.readString(file)));
      }
    }
    return found;
  }

  private static String header(ConsumerRecord<byte[], byte[]> record, String name) {
    var header = record.headers().lastHeader(name);
    return header == null ? null : new String(header.value(), StandardCharsets.UTF_8);
  }

  private static String text(JsonNode event, String field) {
    return event.path(field).asText("");
  }

  private static String setting(String name, String otherwise) {
    return System.getenv().getOrDefault(name, otherwise);
  }
}
