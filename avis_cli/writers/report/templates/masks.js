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
    for (const [track, centre] of labels) this.label(context, track, centre);
  }

  // one mask on the sheet, which has the masks' own size; returns its centre as shares of width and height
  paint(track, counts, hatch) {
    const { width, height } = this.sheet;
    const pixels = maskPixels(counts, height, width);
    const context = this.sheet.getContext("2d");
    const image = context.createImageData(width, height);
    const period = Math.max(4, Math.round(Math.max(width, height) / 48));
    const [red, green, blue] = track.colour;
    let count = 0;
    let sumX = 0;
    let sumY = 0;
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
        count++;
        sumX += x;
        sumY += y;
      }
    }
    context.putImageData(image, 0, 0);
    return count ? [(sumX / count + 0.5) / width, (sumY / count + 0.5) / height] : null;
  }

  label(context, track, [shareX, shareY]) {
    const size = Math.max(11, Math.round(Math.min(this.canvas.width, this.canvas.height) / 20));
    const text = track.name;
    context.font = `600 ${size}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    const half = Math.min(context.measureText(text).width / 2 + size * 0.4, this.canvas.width / 2);
    const x = Math.min(Math.max(shareX * this.canvas.width, half), this.canvas.width - half);
    const y = Math.min(Math.max(shareY * this.canvas.height, size), this.canvas.height - size);
    context.fillStyle = "rgb(13 15 20 / .82)";
    context.fillRect(x - half, y - size * 0.75, 2 * half, size * 1.5);
    context.fillStyle = "#fff";
    context.fillText(text, x, y, 2 * half);
  }
}
