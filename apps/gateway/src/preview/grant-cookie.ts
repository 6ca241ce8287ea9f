import { PREVIEW_GRANT_SECONDS } from "@atoll/protocol/tickets";

/**
 * Two cookies of one value. The application's frame is another site than the preview, so the first is partitioned:
 * kept apart for each page that embeds it. A browser that knows no partitions, or no `Secure` without TLS on
 * localhost, still has the second in a tab of its own. Neither names a domain: other previews never get them.
 */
const FRAME_COOKIE = "atoll-preview-frame";
const TAB_COOKIE = "atoll-preview-tab";

export function setGrantCookies(value: string): string[] {
  const common = `Path=/; Max-Age=${PREVIEW_GRANT_SECONDS}; HttpOnly`;
  return [
    `${FRAME_COOKIE}=${value}; ${common}; SameSite=None; Secure; Partitioned`,
    `${TAB_COOKIE}=${value}; ${common}; SameSite=Lax`,
  ];
}

export function isGrantCookieName(name: string): boolean {
  return name === FRAME_COOKIE || name === TAB_COOKIE;
}

/** Splits our cookies from the guest application's. `rest` is what the guest may see, empty for none. */
export function splitCookies(header: string | undefined): { grants: string[]; rest: string } {
  const grants: string[] = [];
  const rest: string[] = [];
  for (const part of header?.split(";") ?? []) {
    const pair = part.trim();
    const equals = pair.indexOf("=");
    const name = equals < 0 ? pair : pair.slice(0, equals).trimEnd();
    if (isGrantCookieName(name)) grants.push(pair.slice(equals + 1).trim());
    else if (pair !== "") rest.push(pair);
  }
  return { grants, rest: rest.join("; ") };
}
