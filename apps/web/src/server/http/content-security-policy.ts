export interface ContentSecurityPolicyOptions {
  nonce: string;
  gatewayUrl: URL;
  /** Pattern of all preview hosts. */
  previewOrigin: string;
  /** Where the sign-in form is sent on to, when a provider is configured. */
  providerOrigin: string | undefined;
  isDevelopment: boolean;
}

/** Scripts only with this answer's nonce; styles inline because editor and terminal make their own. */
export function contentSecurityPolicy(options: ContentSecurityPolicyOptions): string {
  const socket = new URL(options.gatewayUrl);
  socket.protocol = socket.protocol === "https:" ? "wss:" : "ws:";
  const directives: Record<string, string> = {
    "default-src": "'self'",
    "script-src": `'self' 'nonce-${options.nonce}' 'strict-dynamic'${options.isDevelopment ? " 'unsafe-eval'" : ""}`,
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "connect-src": `'self' ${socket.protocol}//${socket.host}`,
    // The bundler starts a worker through a blob that imports our own chunks.
    "worker-src": "'self' blob:",
    "frame-src": options.previewOrigin,
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": options.providerOrigin ? `'self' ${options.providerOrigin}` : "'self'",
    "frame-ancestors": "'none'",
  };
  return Object.entries(directives)
    .map(([name, value]) => `${name} ${value}`)
    .join("; ");
}
