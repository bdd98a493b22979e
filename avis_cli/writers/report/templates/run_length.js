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

// The pixels of a mask as runs within one column each, top included, bottom not, from left to right and down; runs go
// down the columns, outside first.
function columnRuns(counts, height) {
  const runs = [];
  let at = 0;
  let inside = false;
  for (const run of runsOf(counts)) {
    const end = at + run;
    while (inside && at < end) {
      const column = Math.floor(at / height);
      const bottom = Math.min(end - column * height, height);
      runs.push({ column, top: at - column * height, bottom, piece: runs.length });
      at = column * height + bottom;
    }
    at = end;
    inside = !inside;
  }
  return runs;
}

// Where in the largest piece of a mask its label belongs, [x, y] in pixels: at its centre of gravity, or as near above or
// below as the piece is. Pieces are joined by edges or corners. ``runs``: of columns; none give null.
function placeInLargestPiece(runs) {
  const root = (n) => {
    while (runs[n].piece !== n) n = runs[n].piece = runs[runs[n].piece].piece;
    return n;
  };
  let first = 0; // of the runs in the column before that are not above the run
  for (const [n, run] of runs.entries()) {
    while (runs[first].column < run.column - 1
      || (runs[first].column === run.column - 1 && runs[first].bottom < run.top)) first++;
    for (let k = first; runs[k].column === run.column - 1 && runs[k].top <= run.bottom; k++) {
      runs[root(n)].piece = root(k);
    }
  }
  const pieces = new Map();
  for (const [n, { column, top, bottom }] of runs.entries()) {
    const piece = pieces.get(root(n)) || { root: root(n), area: 0, x: 0, y: 0 };
    piece.area += bottom - top;
    piece.x += column * (bottom - top);
    piece.y += (bottom - top) * (top + bottom - 1) / 2;
    pieces.set(piece.root, piece);
  }
  if (!pieces.size) return null;
  const largest = [...pieces.values()].reduce((best, piece) => (piece.area > best.area ? piece : best));
  const x = Math.round(largest.x / largest.area);
  const y = largest.y / largest.area;
  const inColumn = runs.filter((run, n) => run.column === x && root(n) === largest.root);
  const places = inColumn.map(({ top, bottom }) => Math.min(Math.max(y, top), bottom - 1));
  return [x, places.reduce((best, place) => (Math.abs(place - y) < Math.abs(best - y) ? place : best))];
}
