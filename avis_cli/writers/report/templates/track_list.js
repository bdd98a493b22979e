// Which tracks are listed, and in which order: search, category, what sounds now. Cards and lanes follow.

const ORDERS = {
  id: (a, b) => a.id - b.id,
  name: (a, b) => a.label.localeCompare(b.label, undefined, { numeric: true }) || a.id - b.id,
  score: (a, b) => b.score - a.score || a.id - b.id,
  seconds: (a, b) => b.seconds - a.seconds || a.id - b.id,
};

class TrackList {
  // onChange is given the tracks that are listed, in order
  constructor(tracks, onChange) {
    this.tracks = tracks;
    this.onChange = onChange;
    this.told = "";
    const find = (id) => document.getElementById(id);
    [this.search, this.category, this.order, this.now] = ["search", "category", "sort", "now"].map(find);
    this.count = find("count");
    this.nothing = find("nothing");
    if (!this.search) return; // one track needs no search
    const labels = [...new Set(tracks.map((track) => track.label))].sort((a, b) => a.localeCompare(b));
    for (const label of labels) this.category.append(new Option(label, label));
    this.category.parentElement.hidden = labels.length < 2;
    this.search.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      this.search.value = "";
      this.search.blur();
    });
  }

  // every word of the search is in the track's name and number
  isListed(track, time) {
    const name = track.name.toLowerCase();
    const words = this.search.value.toLowerCase().split(/\s+/);
    return words.every((word) => name.includes(word))
      && (!this.category.value || this.category.value === track.label)
      && (!this.now.checked || track.sounding.some(([start, end]) => start <= time && time < end));
  }

  // called for every picture the browser shows; does something where another list is asked for
  show(time) {
    const listed = this.search
      ? this.tracks.filter((track) => this.isListed(track, time)).sort(ORDERS[this.order.value])
      : this.tracks;
    const told = listed.map((track) => track.id).join();
    if (told === this.told) return;
    this.told = told;
    this.onChange(listed);
    const all = this.tracks.length;
    this.count.textContent = listed.length === all ? `${all}` : `${listed.length} of ${all}`;
    this.nothing.hidden = listed.length > 0;
  }
}
