// COCO's compressed run lengths. Each character holds six bits above 48: five of a number, lowest first, and one that
// says more follow; the number is signed, and from the fourth on the difference to the run before last.

function runsOf(counts) {
  const runs = [];
  let at = 0;
  while (at < counts.length) {
    let value = 0;
    let bits = 0;
    let digit;
    do {
      digit = counts.charCodeAt(at++) - 48;
      value |= (digit & 31) << bits;
      bits += 5;
    } while (digit & 32 && at < counts.length);
    if (digit & 16 && bits < 32) value |= -1 << bits;
    if (runs.length > 2) value += runs[runs.length - 2];
    runs.push(value);
  }
  return runs;
}

// 1 inside the mask, 0 outside, row by row; the runs go down the columns, outside first
function maskPixels(counts, height, width) {
  const pixels = new Uint8Array(height * width);
  let at = 0;
  let inside = false;
  for (const run of runsOf(counts)) {
    const end = Math.min(at + run, pixels.length);
    if (inside) {
      for (let n = at; n < end; n++) pixels[(n % height) * width + Math.floor(n / height)] = 1;
    }
    at = end;
    inside = !inside;
  }
  return pixels;
}
