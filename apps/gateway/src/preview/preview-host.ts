import { previewHostLabel } from "@atoll/protocol/ids";

/** Where previews live, as browsers see it. */
export interface PreviewSite {
  /** Below it each preview has its host; never the application's own domain. */
  domain: string;
  /** Of the listener; a host may leave it out, as behind a proxy on the usual port. */
  port: number;
  scheme: "http" | "https";
}

export interface PreviewHost {
  port: number;
  slug: string;
  /** As the browser wrote it, with the listener's port. */
  authority: string;
}

/**
 * Reads `<port>-<slug>.<domain>[:listener port]`, byte for byte: other case, more labels, a trailing dot
 * or another port are not ours. It proves nothing about the workspace.
 */
export function parsePreviewHost(authority: string | undefined, site: PreviewSite): PreviewHost | undefined {
  if (authority === undefined) return undefined;
  const suffix = `.${site.domain}`;
  const portSuffix = `:${site.port}`;
  const name = authority.endsWith(portSuffix) ? authority.slice(0, -portSuffix.length) : authority;
  if (!name.endsWith(suffix)) return undefined;
  const label = previewHostLabel.safeParse(name.slice(0, -suffix.length));
  return label.success ? { ...label.data, authority } : undefined;
}

/** The preview host an `Origin` or `Referer` names, if it names one of this listener. */
export function previewHostOfUrl(text: string, site: PreviewSite): PreviewHost | undefined {
  return URL.canParse(text) ? parsePreviewHost(new URL(text).host, site) : undefined;
}
