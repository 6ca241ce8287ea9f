import type { IncomingMessage } from "node:http";

/** Who may open a socket: pages of the application's own origin, at a host name this listener answers to. */
export class BrowserGate {
  readonly #origin: string;
  readonly #hosts: ReadonlySet<string>;

  constructor(options: { webUrl: URL; gatewayPort: number }) {
    const { webUrl, gatewayPort } = options;
    this.#origin = webUrl.origin;
    // Its own port, or behind the proxy that also serves the application.
    this.#hosts = new Set([`${webUrl.hostname}:${gatewayPort}`, webUrl.host]);
  }

  /** Compared byte for byte; a missing, repeated or `null` origin is none of ours. */
  refusalOf(request: IncomingMessage): "origin.refused" | "host.refused" | undefined {
    const { host } = request.headers;
    if (host === undefined || !this.#hosts.has(host)) return "host.refused";
    const origins = request.headersDistinct.origin;
    if (origins?.length !== 1 || origins[0] !== this.#origin) return "origin.refused";
    return undefined;
  }
}
