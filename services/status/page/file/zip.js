// A ZIP archive whose parts are read, and of which one is replaced. The others stay byte for byte.

const [END, ENTRY, LOCAL] = [0x06054b50, 0x02014b50, 0x04034b50];
const [STORED, DEFLATED] = [0, 8];
/** The end of an archive stands in its last bytes, before a comment. */
const LONGEST_END = 66_000;

/** Returns { names, text(name), size(name), replaced(name, text) }. Throws when it is not an archive that we know. */
export async function openZip(blob) {
  const tail = blob.slice(Math.max(0, blob.size - LONGEST_END));
  const end = view(await tail.arrayBuffer());
  let at = end.byteLength - 22;
  while (at >= 0 && end.getUint32(at, true) !== END) at -= 1;
  if (at < 0) throw new TypeError("not a ZIP archive");
  const directory = end.getUint32(at + 16, true);
  const entries = entriesOf(view(await blob.slice(directory, directory + end.getUint32(at + 12, true)).arrayBuffer()));

  const entry = name => entries.find(each => each.name === name) ?? fail(`no ${name}`);

  async function packed({ offset, packedSize }) {
    const head = view(await blob.slice(offset, offset + 30).arrayBuffer());
    if (head.getUint32(0, true) !== LOCAL) fail("damaged");
    const begin = offset + 30 + head.getUint16(26, true) + head.getUint16(28, true);
    return blob.slice(begin, begin + packedSize);
  }

  async function text(name) {
    const found = entry(name);
    const part = await packed(found);
    if (found.method === STORED) return part.text();
    if (found.method !== DEFLATED) fail("packed in a way that browsers do not know");
    return new Response(part.stream().pipeThrough(new DecompressionStream("deflate-raw"))).text();
  }

  async function replaced(name, content) {
    const bytes = new TextEncoder().encode(content);
    const deflated = await new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate-raw"))).blob();
    const [parts, directoryParts, size] = [[], [], { of: 0 }];
    for (const each of entries) {
      const now = each.name === name ? { ...each, method: DEFLATED, crc: crc32(bytes), packedSize: deflated.size, size: bytes.length } : each;
      directoryParts.push(record(ENTRY, now, size.of));
      const local = record(LOCAL, now);
      parts.push(local, each.name === name ? deflated : await packed(each));
      size.of += local.byteLength + now.packedSize;
    }
    return new Blob([...parts, ...directoryParts, endRecord(entries.length, size.of, directoryParts)]);
  }

  return { text, replaced, size: name => entry(name).size, has: name => entries.some(each => each.name === name) };
}

const view = buffer => new DataView(buffer);

function fail(why) {
  throw new TypeError(why);
}

function entriesOf(directory) {
  const entries = [];
  for (let at = 0; at + 46 <= directory.byteLength && directory.getUint32(at, true) === ENTRY;) {
    const [nameSize, extraSize, commentSize] = [28, 30, 32].map(place => directory.getUint16(at + place, true));
    const rawName = new Uint8Array(directory.buffer, at + 46, nameSize);
    entries.push({
      rawName,
      name: new TextDecoder().decode(rawName),
      flags: directory.getUint16(at + 8, true),
      method: directory.getUint16(at + 10, true),
      time: directory.getUint32(at + 12, true),
      crc: directory.getUint32(at + 16, true),
      packedSize: directory.getUint32(at + 20, true),
      size: directory.getUint32(at + 24, true),
      offset: directory.getUint32(at + 42, true),
    });
    at += 46 + nameSize + extraSize + commentSize;
  }
  return entries;
}

/** The head of a part, or its line in the directory, which has `offset`. */
function record(signature, { rawName, flags, method, time, crc, packedSize, size }, offset = null) {
  const isEntry = offset !== null;
  const head = view(new ArrayBuffer(isEntry ? 46 : 30));
  head.setUint32(0, signature, true);
  head.setUint16(4, 20, true);
  const at = isEntry ? 6 : 4;
  head.setUint16(at, 20, true);
  // Sizes stand here, not behind the part (bit 3); what the name is written in stays (bit 11).
  head.setUint16(at + 2, flags & 0x800, true);
  head.setUint16(at + 4, method, true);
  head.setUint32(at + 6, time, true);
  head.setUint32(at + 10, crc, true);
  head.setUint32(at + 14, packedSize, true);
  head.setUint32(at + 18, size, true);
  head.setUint16(at + 22, rawName.length, true);
  if (isEntry) head.setUint32(42, offset, true);
  const bytes = new Uint8Array(head.byteLength + rawName.length);
  bytes.set(new Uint8Array(head.buffer));
  bytes.set(rawName, head.byteLength);
  return bytes;
}

function endRecord(count, offset, directory) {
  const end = view(new ArrayBuffer(22));
  end.setUint32(0, END, true);
  end.setUint16(8, count, true);
  end.setUint16(10, count, true);
  end.setUint32(12, directory.reduce((sum, part) => sum + part.byteLength, 0), true);
  end.setUint32(16, offset, true);
  return end.buffer;
}

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let sum = byte;
  for (let bit = 0; bit < 8; bit += 1) sum = sum & 1 ? 0xedb88320 ^ (sum >>> 1) : sum >>> 1;
  return sum;
});

function crc32(bytes) {
  let sum = ~0;
  for (const byte of bytes) sum = CRC[(sum ^ byte) & 255] ^ (sum >>> 8);
  return ~sum >>> 0;
}
