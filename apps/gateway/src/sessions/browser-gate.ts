import type { IncomingMessage } from "node:http";

/** Who may open a socket: pages of the application's own origin, at the address they were given. */
export class BrowserGate {
  readonly #origin: string;
  readonly #host: string;

  constructor(options: { webUrl: URL; gatewayPort: number; gatewayUrl: URL | undefined }) {
    const { webUrl, gatewayPort, gatewayUrl } = options;
    this.#origin = webUrl.origin;
    this.#host = gatewayUrl?.host ?? `${webUrl.hostname}:${gatewayPort}`;
  }

  /** Compared byte for byte; a missing, repeated or `null` origin is none of ours. */
  refusalOf(request: IncomingMessage): "origin.refused" | "host.refused" | undefined {
    const hosts = request.headersDistinct.host;
    if (hosts?.length !== 1 || hosts[0] !== this.#host) return "host.refused";
    const origins = request.headersDistinct.origin;
    if (origins?.length !== 1 || origins[0] !== this.#origin) return "origin.refused";
    return undefined;
  }
}
