import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { Scope } from "@atoll/base/scope";
import Provider from "oidc-provider";
import { freePort } from "../../scripts/start/free-port.ts";

/** A real OpenID Connect provider on loopback, with its own sign-in pages: any name is an account. */
export async function startOidcProvider(
  scope: Scope,
  webUrl: string,
): Promise<{ issuer: string; webEnvironment: Record<string, string> }> {
  const port = await freePort();
  const issuer = `http://localhost:${port}`;
  const clientSecret = randomBytes(24).toString("base64url");
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "atoll",
        client_secret: clientSecret,
        redirect_uris: [`${webUrl}/api/auth/callback/oidc`],
      },
    ],
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
    findAccount: (_context, subject) => ({
      accountId: subject,
      claims: () => ({
        sub: subject,
        email: `${subject}@school.example`,
        email_verified: true,
        name: subject,
      }),
    }),
    conformIdTokenClaims: false,
    cookies: { keys: [randomBytes(24).toString("base64url")] },
    features: { devInteractions: { enabled: true } },
  });
  const server = createServer(provider.callback()).listen(port, "localhost");
  await once(server, "listening");
  scope.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    issuer,
    webEnvironment: {
      ATOLL_OIDC_ISSUER: issuer,
      ATOLL_OIDC_CLIENT_ID: "atoll",
      ATOLL_OIDC_CLIENT_SECRET: clientSecret,
      ATOLL_OIDC_NAME: "School",
    },
  };
}
