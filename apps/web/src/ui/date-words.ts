const time = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const dayOfYear = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

/** "14:02" today, "23 Nov, 14:02" on another day, "23 Nov 2027" in another year. Local time. */
export function dateWords(atMs: number, nowMs: number): string {
  const [at, now] = [new Date(atMs), new Date(nowMs)];
  if (at.toDateString() === now.toDateString()) return time.format(at);
  if (at.getFullYear() === now.getFullYear()) return `${day.format(at)}, ${time.format(at)}`;
  return dayOfYear.format(at);
}

/** As part of a sentence: "at 14:02", "on 23 Nov, 14:02". */
export function atDate(atMs: number, nowMs: number): string {
  const isToday = new Date(atMs).toDateString() === new Date(nowMs).toDateString();
  return `${isToday ? "at" : "on"} ${dateWords(atMs, nowMs)}`;
}

/** A length in the unit people would use: "45 s", "30 min", "2 h", "14 days". */
export function durationWords(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 2 * 3600 && seconds % 3600 !== 0) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}
