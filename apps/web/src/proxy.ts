/** First stop of every request: is it for us, and which headers go with the answer. */
import { type NextRequest, NextResponse } from "next/server";
import { env } from "./env.ts";
import { contentSecurityPolicy } from "./server/http/content-security-policy.ts";

export function proxy(request: NextRequest): NextResponse {
  const { webUrl, gatewayUrl, previewDomain, previewPort, oidc } = env();
  // A page of another name that was pointed at this address (DNS rebinding) gets nothing.
  if (request.headers.get("host") !== webUrl.host) {
    return NextResponse.json({ code: "host.refused" }, { status: 421 });
  }
  const nonce = crypto.randomUUID().replaceAll("-", "");
  const policy = contentSecurityPolicy({
    nonce,
    gatewayUrl,
    previewOrigin: `${webUrl.protocol}//*.${previewDomain}:${previewPort}`,
    providerOrigin: oidc ? new URL(oidc.issuer).origin : undefined,
    isDevelopment: process.env.NODE_ENV === "development",
  });
  const headers = new Headers(request.headers);
  headers.set("x-nonce", nonce);
  headers.set("content-security-policy", policy);
  const response = NextResponse.next({ request: { headers } });
  response.headers.set("content-security-policy", policy);
  response.headers.set("x-content-type-options", "nosniff");
  response.headers.set("referrer-policy", "same-origin");
  response.headers.set("cross-origin-opener-policy", "same-origin");
  response.headers.set("x-frame-options", "DENY");
  response.headers.set(
    "permissions-policy",
    "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
  );
  if (webUrl.protocol === "https:") {
    response.headers.set("strict-transport-security", "max-age=31536000");
  }
  return response;
}

export const config = {
  // Health probes come by address; build output is public and the same for all.
  matcher: ["/((?!_next/static|_next/image|healthz|favicon.ico).*)"],
};
