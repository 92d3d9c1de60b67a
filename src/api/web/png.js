// Encodes a grey picture as PNG at once: a browser's own encoder (toBlob) waits for idle time, of
// which there is none while somebody draws. Only runs are compressed, which are most of a drawing:
// one block of deflate (RFC 1951) with the fixed codes, and a match at distance 1 per repetition.
const LONGEST_MATCH = 258;

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  return crc;
});

function crc32(data) {
  let crc = 0xffffffff;
  for (const byte of data) crc = CRC[(crc ^ byte) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

function adler32(data) {
  let a = 1, b = 0;
  for (const byte of data) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  return ((b << 16) | a) >>> 0;
}

// The code, its bits, the extra value and its bits of each match length (RFC 1951, 3.2.5).
const LENGTHS = [];
for (let symbol = 257, length = 3; symbol < 285; symbol++) {
  const extra = symbol < 265 ? 0 : (symbol - 261) >> 2;
  for (let value = 0; value < 1 << extra; value++) LENGTHS[length++] = { symbol, value, extra };
}
LENGTHS[LONGEST_MATCH] = { symbol: 285, value: 0, extra: 0 };

class BitWriter {
  bytes = [];
  hold = 0;
  held = 0;

  // Puts the lowest bit first, as deflate does for everything except its codes.
  put(value, bits) {
    this.hold |= value << this.held;
    for (this.held += bits; this.held >= 8; this.held -= 8) {
      this.bytes.push(this.hold & 255);
      this.hold >>>= 8;
    }
  }

  code(value, bits) {
    for (let bit = bits - 1; bit >= 0; bit--) this.put((value >> bit) & 1, 1);
  }

  // A symbol of literals and lengths in the fixed code (RFC 1951, 3.2.6).
  symbol(s) {
    if (s < 144) this.code(0x30 + s, 8);
    else if (s < 256) this.code(0x190 + s - 144, 9);
    else if (s < 280) this.code(s - 256, 7);
    else this.code(0xc0 + s - 280, 8);
  }
}

// `data` as a zlib stream.
export function deflateRuns(data) {
  const out = new BitWriter();
  out.bytes.push(0x78, 0x01);
  out.put(3, 3); // the last block, fixed codes
  for (let at = 0; at < data.length;) {
    let run = 0; // how often the previous byte is repeated
    if (at > 0) while (run < LONGEST_MATCH && data[at + run] === data[at - 1]) run++;
    if (run < 3) out.symbol(data[at++]);
    else {
      const { symbol, value, extra } = LENGTHS[run];
      out.symbol(symbol);
      out.put(value, extra);
      out.code(0, 5); // distance 1
      at += run;
    }
  }
  out.symbol(256);
  out.put(0, 7); // up to the end of the byte
  const sum = adler32(data);
  return Uint8Array.from([...out.bytes, sum >>> 24, (sum >>> 16) & 255, (sum >>> 8) & 255, sum & 255]);
}

function chunk(kind, data) {
  const all = new Uint8Array(data.length + 12), view = new DataView(all.buffer);
  view.setUint32(0, data.length);
  all.set([...kind].map((c) => c.charCodeAt(0)), 4);
  all.set(data, 8);
  view.setUint32(data.length + 8, crc32(all.subarray(4, data.length + 8)));
  return all;
}

// The PNG of `grey`, width x height bytes, row by row; a Uint8Array.
export function encodeGrey(grey, width, height) {
  const head = new Uint8Array(13), view = new DataView(head.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  head[8] = 8; // bits; colour type 0 is grey
  const rows = new Uint8Array(height * (width + 1)); // filter 0 before each row
  for (let y = 0; y < height; y++) rows.set(grey.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const parts = [Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10), chunk('IHDR', head), chunk('IDAT', deflateRuns(rows)), chunk('IEND', new Uint8Array(0))];
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
