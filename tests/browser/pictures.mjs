// The pictures that the visits of check-page.mjs show to the page.
import { deflateSync } from 'node:zlib';

// A 7, stroke by stroke, in a square of side 1.
export const SEVEN = [[0.25, 0.22], [0.5, 0.22], [0.75, 0.22], [0.66, 0.42], [0.56, 0.62], [0.47, 0.85]];

// A photo of a 7 on paper: uneven light, noise, blue ink, off the middle; in base64.
export const photo = (page, type = 'image/jpeg') => page.evaluate(async ([seven, kind]) => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 800, height: 600 });
  const context = canvas.getContext('2d'), light = context.createLinearGradient(0, 0, 800, 600);
  light.addColorStop(0, '#f4efe2');
  light.addColorStop(1, '#a8a294');
  context.fillStyle = light;
  context.fillRect(0, 0, 800, 600);
  const image = context.getImageData(0, 0, 800, 600);
  for (let i = 0, r = 1; i < image.data.length; i++) {
    r = (r * 16807) % 2147483647;
    if (i % 4 < 3) image.data[i] += r % 9 - 4;
  }
  context.putImageData(image, 0, 0);
  Object.assign(context, { strokeStyle: '#22307a', lineWidth: 16, lineCap: 'round', lineJoin: 'round' });
  context.beginPath();
  for (const [x, y] of seven) context.lineTo(380 + 330 * x, 180 + 330 * y);
  context.stroke();
  return canvas.toDataURL(kind).split(',')[1];
}, [SEVEN, type]);

function crc32(data) {
  let crc = ~0;
  for (const byte of data) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

// An 8-bit grey PNG; grey(x, y).
export function png(width, height, grey) {
  const chunk = (kind, data) => {
    const body = Buffer.concat([Buffer.from(kind), data]), out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length);
    body.copy(out, 4);
    out.writeUInt32BE(crc32(body), body.length + 4);
    return out;
  };
  const head = Buffer.from([0, 0, 0, width, 0, 0, 0, height, 8, 0, 0, 0, 0]);
  const rows = Array.from({ length: height }, (_, y) => Buffer.from([0, ...Array.from({ length: width }, (_, x) => grey(x, y))]));
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', head), chunk('IDAT', deflateSync(Buffer.concat(rows))), chunk('IEND', Buffer.alloc(0))]);
}
