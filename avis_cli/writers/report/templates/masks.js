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
      const centre = this.paint(track, track.counts[frame], HATCHES[n % HATCHES.length]);
      if (!centre) continue;
      context.drawImage(this.sheet, 0, 0, this.canvas.width, this.canvas.height);
      labels.push([track, centre]);
    }
    this.drawLabels(context, labels.reverse());
  }

  // one mask on the sheet, which has the masks' own size; returns the place of its label as shares of width and height
  paint(track, counts, hatch) {
    const { width, height } = this.sheet;
    const pixels = maskPixels(counts, height, width);
    const context = this.sheet.getContext("2d");
    const place = placeInLargestPiece(counts, height);
    const image = context.createImageData(width, height);
    const period = Math.max(4, Math.round(Math.max(width, height) / 48));
    const [red, green, blue] = track.colour;
    for (let y = 0, at = 0; y < height; y++) {
      for (let x = 0; x < width; x++, at++) {
        if (!pixels[at]) continue;
        const edge =
          x === 0 || y === 0 || x === width - 1 || y === height - 1 ||
          !pixels[at - 1] || !pixels[at + 1] || !pixels[at - width] || !pixels[at + width];
        image.data[4 * at] = red;
        image.data[4 * at + 1] = green;
        image.data[4 * at + 2] = blue;
        image.data[4 * at + 3] = edge ? 255 : hatch(x, y, period) ? HATCHED : FILL;
      }
    }
    context.putImageData(image, 0, 0);
    return place && [(place[0] + 0.5) / width, (place[1] + 0.5) / height];
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
