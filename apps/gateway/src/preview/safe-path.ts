/**
 * `to` of the enter request as a path on the same host, or `/`. Judged by the parser browsers use, twice: what
 * it reads as another host is dropped, and so is a result that a browser would read as one again (`/.//evil`).
 */
export function safePath(to: string | null): string {
  const base = "http://preview.invalid";
  if (to === null || !to.startsWith("/") || !URL.canParse(to, base)) return "/";
  const url = new URL(to, base);
  if (url.origin !== base || url.username !== "" || url.password !== "") return "/";
  const path = `${url.pathname}${url.search}${url.hash}`;
  return /^\/(?![/\\])/.test(path) ? path : "/";
}
