// Source and overlay on one clock, that of the clip in seconds. The first of them that plays leads, the other follows.

const DRIFT = 0.12; // seconds apart that are put right
const NUDGE = 0.0005; // seconds past a frame's start, so that rounding does not show the one before

class Player {
  constructor(span, videos) {
    this.span = span;
    // {element, zero: clip time at which the file begins, broken}
    this.videos = videos;
    this.at = span[0];
    this.muted = false;
    for (const video of videos) {
      video.element.addEventListener("error", () => this.drop(video));
      video.element.addEventListener("loadedmetadata", () => this.place(video));
    }
    this.balance();
  }

  get leader() {
    return this.videos.find((video) => !video.broken) || null;
  }

  get playing() {
    const leader = this.leader;
    return leader !== null && !leader.element.paused;
  }

  drop(video) {
    this.pause();
    video.broken = true;
    this.balance();
  }

  open(video, url) {
    video.broken = false;
    video.element.src = url;
    this.balance();
  }

  mute(muted) {
    this.muted = muted;
    this.balance();
  }

  // only the leader is heard
  balance() {
    for (const video of this.videos) video.element.muted = this.muted || video !== this.leader;
  }

  place(video) {
    if (!video.broken) video.element.currentTime = Math.max(this.at - video.zero, 0) + NUDGE;
  }

  seek(time) {
    this.at = Math.min(Math.max(time, this.span[0]), this.span[1]);
    for (const video of this.videos) this.place(video);
  }

  play() {
    if (this.at >= this.span[1] - 0.05) this.seek(this.span[0]);
    for (const video of this.videos) {
      // a refusal shows in the element: it stays paused
      if (!video.broken) video.element.play().catch(() => {});
    }
  }

  pause() {
    for (const video of this.videos) video.element.pause();
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  // called for every picture the browser shows
  tick() {
    const leader = this.leader;
    if (!leader || leader.element.paused || leader.element.seeking) return;
    this.at = Math.min(leader.element.currentTime + leader.zero, this.span[1]);
    if (this.at >= this.span[1]) {
      this.pause();
      return;
    }
    for (const { element, zero, broken } of this.videos) {
      if (element === leader.element || broken || element.seeking || element.ended) continue;
      if (element.paused) element.play().catch(() => {});
      if (Math.abs(element.currentTime + zero - this.at) > DRIFT) element.currentTime = Math.max(this.at - zero, 0);
    }
  }
}
