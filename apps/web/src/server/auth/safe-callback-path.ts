/** Where to go after signing in: a path of this site, or the dashboard. Never another origin. */
export function safeCallbackPath(value: unknown): string {
  if (typeof value !== "string" || value.length > 2000) return "/";
  // A browser reads `//host` and `/\host` as another site, and drops tabs and newlines before looking.
  if (!/^\/(?![/\\])[^\\\p{Cc}]*$/u.test(value)) return "/";
  return value;
}
