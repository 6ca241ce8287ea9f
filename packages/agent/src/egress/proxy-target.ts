import { AtollError } from "@atoll/protocol/atoll-error";

export interface ProxyTarget {
  host: string;
  port: number;
}

/** `host:port` of a CONNECT, an IPv6 address in brackets. */
export function connectTarget(authority: string): ProxyTarget {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/@\s]+)):(\d{1,5})$/.exec(authority);
  return checked(match?.[1] ?? match?.[2], Number(match?.[3]));
}

export interface AbsoluteTarget extends ProxyTarget {
  path: string;
  hostHeader: string;
}

/** `http://host[:port]/path` of a plain request. TLS goes through CONNECT, other schemes not at all. */
export function absoluteTarget(requestUrl: string): AbsoluteTarget {
  if (!/^http:\/\//i.test(requestUrl) || !URL.canParse(requestUrl)) throw invalid();
  const url = new URL(requestUrl);
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  return {
    ...checked(host, url.port === "" ? 80 : Number(url.port)),
    path: `${url.pathname}${url.search}`,
    hostHeader: url.host,
  };
}

function checked(host: string | undefined, port: number): ProxyTarget {
  if (host === undefined || host.length === 0 || host.length > 253 || !(port >= 1 && port <= 65_535))
    throw invalid();
  return { host, port };
}

function invalid(): AtollError {
  return new AtollError("request.invalid", "this proxy takes CONNECT host:port and http:// addresses");
}
