// A text file in whatever encoding, as UTF-8.

/** Names that the service uses and browsers do not know. */
const LABELS = { "utf-16-le": "utf-16le", "utf-16-be": "utf-16be" };
const MARK = [0xef, 0xbb, 0xbf];

/**
 * The file as a Blob of UTF-8 without its mark. It is read piece by piece and never held as a whole. Throws when the
 * browser does not know the encoding, and when the file is not in it.
 */
export async function asUtf8(file, encoding) {
  const start = new Uint8Array(await file.slice(0, 3).arrayBuffer());
  if (encoding === "utf-8") return MARK.every((byte, index) => start[index] === byte) ? file.slice(3) : file;
  const label = encoding === "utf-16" ? wide(start) : LABELS[encoding] ?? encoding;
  const text = file.stream().pipeThrough(new TextDecoderStream(label, { fatal: true }));
  return new Response(text.pipeThrough(new TextEncoderStream())).blob();
}

const wide = start => start[0] === 0xfe ? "utf-16be" : "utf-16le";
