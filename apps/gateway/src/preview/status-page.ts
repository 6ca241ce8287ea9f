/** The proxy's own pages, for people who look at a preview that cannot be shown. No external parts, no script but the retry. */
import { createHash } from "node:crypto";
import type { AtollError } from "@atoll/protocol/atoll-error";
import { ERRORS, type ErrorCode } from "@atoll/protocol/errors";

/** What passes by itself, or when the user's server comes up. */
const RETRIED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "workspace.not_running",
  "workspace.busy",
  "port.nothing_listening",
  "host.unreachable",
  "host.draining",
  "host.full",
  "template.unavailable",
  "template.failed",
  "link.lost",
]);

const FIRST_RETRY_MS = 1_200;

const STYLE = `
:root{color-scheme:light dark;--bg:#fbfbfc;--fg:#17181c;--dim:#62656d;--line:#e3e4e8;--accent:#2f6bd8}
@media(prefers-color-scheme:dark){:root{--bg:#141518;--fg:#ececf0;--dim:#9a9da6;--line:#2b2d33;--accent:#7aa7ff}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:2rem;background:var(--bg);color:var(--fg);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:34rem;width:100%}
.mark{width:.7rem;height:.7rem;border-radius:50%;background:var(--accent);margin-bottom:1.25rem}
[data-retry-ms] .mark{animation:pulse 1.6s ease-in-out infinite}
@keyframes pulse{50%{opacity:.25;transform:scale(.8)}}
@media(prefers-reduced-motion:reduce){.mark{animation:none!important}}
h1{font-size:1.35rem;line-height:1.3;font-weight:600;margin:0 0 .5rem;text-wrap:balance}
p{margin:0 0 .75rem}
.dim{color:var(--dim)}
footer{margin-top:1.5rem;padding-top:.9rem;border-top:1px solid var(--line);display:flex;flex-wrap:wrap;
gap:.25rem 1rem;justify-content:space-between;font-size:.85rem;color:var(--dim)}
code{font:.85rem/1.5 ui-monospace,SFMono-Regular,Menlo,monospace}
`.trim();

/** Slower each time, only while looked at, and not for ever: a forgotten tab must let the workspace rest. */
const SCRIPT = `
(() => {
  const first = Number(document.body.dataset.retryMs);
  if (!first) return;
  const key = "atoll-retry";
  let count = 0;
  try {
    const last = JSON.parse(sessionStorage.getItem(key) || "{}");
    if (Date.now() - last.at < 60000) count = last.count;
  } catch {}
  const line = document.getElementById("retry");
  if (count >= 60) { line.textContent = "Stopped trying. Reload to try again."; return; }
  const again = () => {
    if (document.hidden) return document.addEventListener("visibilitychange", again, { once: true });
    try { sessionStorage.setItem(key, JSON.stringify({ count: count + 1, at: Date.now() })); } catch {}
    location.reload();
  };
  setTimeout(again, Math.min(first * 1.2 ** count, 15000));
})();
`.trim();

const sha256 = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** @param appOrigin the only page that may frame ours, besides the preview itself */
export function statusPageSecurity(appOrigin: string): string {
  return [
    "default-src 'none'",
    `style-src ${sha256(STYLE)}`,
    `script-src ${sha256(SCRIPT)}`,
    "base-uri 'none'",
    "form-action 'none'",
    `frame-ancestors 'self' ${appOrigin}`,
  ].join("; ");
}

/** @param port of the preview host, when there is one */
export function statusPage(error: AtollError, port: number | undefined, canRetry: boolean): string {
  const spec = ERRORS[error.code];
  const isRetrying = canRetry && RETRIED.has(error.code);
  const state = typeof error.details?.state === "string" ? `State: ${error.details.state}` : "";
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex">
<title>${escapeHtml(spec.what)}</title>
<style>${STYLE}</style>
</head>
<body${isRetrying ? ` data-retry-ms="${FIRST_RETRY_MS}"` : ""}>
<main>
<div class="mark" aria-hidden="true"></div>
<h1>${escapeHtml(spec.what)}</h1>
<p class="dim">${escapeHtml(spec.why)} ${escapeHtml(state)}</p>
<p>${escapeHtml(spec.now)}</p>
<p class="dim" id="retry" role="status">${isRetrying ? "Trying again…" : ""}</p>
<footer><span>Atoll preview${port === undefined ? "" : ` · port ${port}`}</span><code>${escapeHtml(error.code)}</code></footer>
</main>
<script>${SCRIPT}</script>
</body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
