// A card per track: its intervals to jump to, whether it sounds now, and the switch of its mask.

class Card {
  constructor(element, track, { onSeek, onSwitch }) {
    this.element = element;
    this.track = track;
    element.tabIndex = -1; // the timeline leads to it
    this.now = element.querySelector(".now");
    this.box = element.querySelector("input");
    this.box.setAttribute("aria-label", `Mask of ${track.name} on the source`);
    this.box.addEventListener("change", () => onSwitch(track.id, this.box.checked));
    const spans = element.querySelector(".spans");
    for (const [start, end] of track.sounding) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = `${clockText(start)}–${clockText(end)}`;
      button.addEventListener("click", () => onSeek(start));
      spans.append(button);
    }
  }

  get listed() {
    return !this.element.hidden;
  }

  flip(on) {
    if (this.box.checked === on) return;
    this.box.checked = on;
    this.box.dispatchEvent(new Event("change"));
  }

  show(time) {
    const sounding = this.track.sounding.some(([start, end]) => start <= time && time < end);
    if (this.element.classList.contains("sounding") === sounding && this.told) return;
    this.told = true;
    this.element.classList.toggle("sounding", sounding);
    this.now.textContent = sounding ? "♪ sounds now" : "silent now";
  }
}
