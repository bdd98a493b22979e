// Draws masks on a canvas over the source: hatched in the track's colour, outlined, with the track's number.

// the same in the same order as the style sheet's p0 to p5
const HATCHES = [
  () => false,
  (x, y, p) => (x - y + 100000 * p) % p < p / 3,
  (x, y, p) => x % p < p / 3,
  (x, y, p) => y % p < p / 3,
  (x, y, p) => (x + y) % p < p / 3,
  (x, y, p) => x % p < p / 2 && y % p < p / 2,
];
const FILL = 105;
const HATCHED = 195;
const LARGEST_CANVAS = 1280;
const CROWD = 12; // masks at once; the labels of more are smaller

function boxOf(runs) {
  let [top, bottom] = [Infinity, 0];
  for (const run of runs) {
    top = Math.min(top, run.top);
    bottom = Math.max(bottom, run.bottom);
  }
  return { left: runs[0].column, top, right: runs[runs.length - 1].column + 1, bottom };
}

class MaskCanvas {
  constructor(canvas, data) {
    this.canvas = canvas;
    this.masks = data.masks;
    this.tracks = data.tracks.map((track, n) => ({ ...track, counts: data.masks.counts[n].split(" ") }));
    this.shown = new Set();
    this.end = data.span[1];
    this.drawn = "";
    const scale = Math.min(1, LARGEST_CANVAS / Math.max(data.width, data.height));
    canvas.width = Math.max(1, Math.round(data.width * scale));
    canvas.height = Math.max(1, Math.round(data.height * scale));
    this.sheet = document.createElement("canvas");
    [this.sheet.height, this.sheet.width] = data.masks.size;
  }

  // position of the mask frame on screen at a time, -1 before the first one
  frameAt(time) {
    let low = 0;
    let high = this.masks.times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.masks.times[middle] <= time + 0.001) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  draw(time) {
    const frame = this.frameAt(time);
    const key = `${frame} ${[...this.shown].join()}`;
    if (key === this.drawn) return;
    this.drawn = key;
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (frame < 0) return;
    const labels = [];
    // the surest track comes first in the list and is drawn last, on top
    for (let n = this.tracks.length - 1; n >= 0; n--) {
      const track = this.tracks[n];
      if (!this.shown.has(track.id) || !track.counts[frame]) continue;
      const place = this.paint(context, track, track.counts[frame], HATCHES[n % HATCHES.length]);
      if (place) labels.push([track, place]);
    }
    this.drawLabels(context, labels.reverse());
  }

  // one mask by way of the sheet, which has the masks' own size; returns the place of its label as shares of width and
  // height, null where there is no mask
  paint(context, track, counts, hatch) {
    const { width, height } = this.sheet;
    const runs = columnRuns(counts, height);
    const place = placeInLargestPiece(runs);
    if (!place) return null;
    const box = boxOf(runs);
    const sheet = this.sheet.getContext("2d");
    sheet.putImageData(this.image(sheet, runs, box, track.colour, hatch), box.left, box.top);
    const { left, top } = box;
    const [wide, high] = [box.right - left, box.bottom - top];
    const [x, y] = [this.canvas.width / width, this.canvas.height / height];
    context.drawImage(this.sheet, left, top, wide, high, left * x, top * y, wide * x, high * y);
    return [(place[0] + 0.5) / width, (place[1] + 0.5) / height];
  }

  image(sheet, runs, { left, top, right, bottom }, [red, green, blue], hatch) {
    const [wide, high] = [right - left, bottom - top];
    const period = Math.max(4, Math.round(Math.max(this.sheet.width, this.sheet.height) / 48));
    const image = sheet.createImageData(wide, high);
    const pitch = high + 2; // column by column, with a rim that is outside
    const pixels = new Uint8Array((wide + 2) * pitch);
    for (const run of runs) {
      const start = (run.column - left + 1) * pitch + 1 - top;
      pixels.fill(1, start + run.top, start + run.bottom);
    }
    for (let x = 0; x < wide; x++) {
      for (let y = 0, at = (x + 1) * pitch + 1; y < high; y++, at++) {
        if (!pixels[at]) continue;
        const isEdge = !pixels[at - 1] || !pixels[at + 1] || !pixels[at - pitch] || !pixels[at + pitch];
        const to = 4 * (y * wide + x);
        image.data[to] = red;
        image.data[to + 1] = green;
        image.data[to + 2] = blue;
        image.data[to + 3] = isEdge ? 255 : hatch(left + x, top + y, period) ? HATCHED : FILL;
      }
    }
    return image;
  }

  // names where no other label is, else numbers, else nothing; the surest track, the first, has the first choice
  drawLabels(context, labels) {
    const { width, height } = this.canvas;
    const size = Math.max(11, Math.round(Math.min(width, height) / (labels.length > CROWD ? 32 : 20)));
    context.font = `600 ${size}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    const box = (text, [shareX, shareY]) => {
      const half = Math.min(context.measureText(text).width / 2 + size * 0.4, width / 2);
      const x = Math.min(Math.max(shareX * width, half), width - half);
      const y = Math.min(Math.max(shareY * height, size), height - size);
      return { text, x, y, half };
    };
    const isFree = (one) => placed.every((other) => !other
      || Math.abs(one.x - other.x) >= one.half + other.half || Math.abs(one.y - other.y) >= size * 1.5);
    const placed = [];
    for (const [track, place] of labels) {
      const number = box(`${track.id}`, place);
      placed.push(isFree(number) ? number : null);
    }
    for (const [n, [track, place]] of labels.entries()) {
      const number = placed[n];
      if (!number) continue;
      placed[n] = null;
      const name = box(track.name, place);
      placed[n] = isFree(name) ? name : number;
    }
    for (const label of placed.filter(Boolean)) {
      context.fillStyle = "rgb(13 15 20 / .82)";
      context.fillRect(label.x - label.half, label.y - size * 0.75, 2 * label.half, size * 1.5);
      context.fillStyle = "#fff";
      context.fillText(label.text, label.x, label.y, 2 * label.half);
    }
  }
}
