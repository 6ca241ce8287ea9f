import { previewHostLabel } from "@atoll/protocol/ids";

export const PREVIEW_DOMAIN = "preview.localhost";

export interface PreviewHost {
  port: number;
  slug: string;
  /** As the browser wrote it, with the listener's port. */
  authority: string;
}

/**
 * Reads `<port>-<slug>.preview.localhost[:listener port]`, byte for byte: other case, more labels, a trailing dot
 * or another port are not ours. It proves nothing about the workspace.
 */
export function parsePreviewHost(
  authority: string | undefined,
  listenerPort: number,
): PreviewHost | undefined {
  if (authority === undefined) return undefined;
  const suffix = `.${PREVIEW_DOMAIN}`;
  const portSuffix = `:${listenerPort}`;
  const name = authority.endsWith(portSuffix) ? authority.slice(0, -portSuffix.length) : authority;
  if (!name.endsWith(suffix)) return undefined;
  const label = previewHostLabel.safeParse(name.slice(0, -suffix.length));
  return label.success ? { ...label.data, authority } : undefined;
}

/** The preview host an `Origin` or `Referer` names, if it names one of this listener. */
export function previewHostOfUrl(text: string, listenerPort: number): PreviewHost | undefined {
  return URL.canParse(text) ? parsePreviewHost(new URL(text).host, listenerPort) : undefined;
}
