/** next-auth, kept behind this folder: the rest of the server sees `currentSession` and the form actions. */

import { signInWithAccount } from "@atoll/db/accounts";
import { appendAudit } from "@atoll/db/audit";
import { createAuthSession } from "@atoll/db/auth-sessions";
import { withTenant } from "@atoll/db/with-tenant";
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import NextAuth, { type Account, CredentialsSignin, type NextAuthConfig, type Profile } from "next-auth";
import Credentials from "next-auth/providers/credentials";
import { env } from "#env.ts";
import { verifySignIn } from "../domain/auth/verify-sign-in.ts";
import { log } from "../log.ts";
import { webProcess } from "../web-process.ts";
import { clientAddress } from "./client-address.ts";
import { signInInput } from "./credentials.schema.ts";
import { identityEmail } from "./identity-email.ts";
import { safeCallbackPath } from "./safe-callback-path.ts";

export const SIGN_IN_SECONDS = 30 * 24 * 3600;

declare module "next-auth" {
  interface Session {
    userId?: string | undefined;
    authSessionId?: string | undefined;
  }
}

/** next-auth only lets its own class through; the table's code travels in `code`. */
class RefusedSignIn extends CredentialsSignin {
  constructor(error: AtollError) {
    super(error.code);
    this.code = error.code;
  }
}

export const { handlers, auth, signIn, signOut } = NextAuth(() => authConfig());

function authConfig(): NextAuthConfig {
  const { authSecret, oidc, webUrl } = env();
  return {
    secret: authSecret,
    trustHost: true,
    useSecureCookies: webUrl.protocol === "https:",
    session: { strategy: "jwt", maxAge: SIGN_IN_SECONDS },
    pages: { signIn: "/signin", error: "/signin" },
    logger: { error() {}, warn() {}, debug() {} },
    providers: [
      Credentials({
        credentials: { email: {}, password: {} },
        async authorize(credentials, request) {
          const input = signInInput.safeParse(credentials);
          if (!input.success) throw new RefusedSignIn(new AtollError("auth.invalid_credentials"));
          const { db, limits } = webProcess();
          try {
            const address = clientAddress(request.headers, env().trustedProxies);
            const { id } = await verifySignIn({ db, ...limits, address }, input.data);
            return { id };
          } catch (error) {
            if (error instanceof AtollError) throw new RefusedSignIn(error);
            throw error;
          }
        },
      }),
      ...(oidc
        ? [
            {
              id: "oidc",
              name: oidc.name,
              type: "oidc" as const,
              issuer: oidc.issuer,
              clientId: oidc.clientId,
              clientSecret: oidc.clientSecret,
              checks: ["pkce", "state", "nonce"] as Array<"pkce" | "state" | "nonce">,
            },
          ]
        : []),
    ],
    callbacks: {
      redirect: ({ url }) => {
        const path = url.startsWith(webUrl.origin) ? url.slice(webUrl.origin.length) : url;
        return webUrl.origin + safeCallbackPath(path);
      },
      async signIn({ account, profile }) {
        if (account?.type !== "oidc") return true;
        try {
          await userOfIdentity(account, profile);
          return true;
        } catch (error) {
          const { code } = toAtollError(error);
          if (code === "internal") log().error({ err: error }, "provider sign-in failed");
          return `/signin?error=${code}`;
        }
      },
      async jwt({ token, user, account, profile }) {
        if (!account) return token;
        const userId = account.type === "oidc" ? await userOfIdentity(account, profile) : String(user.id);
        const authSessionId = await startSession(userId);
        return { sub: userId, authSessionId };
      },
      session({ session, token }) {
        const authSessionId = typeof token.authSessionId === "string" ? token.authSessionId : undefined;
        return { expires: session.expires, userId: token.sub, authSessionId };
      },
    },
  };
}

/** Made at the first sign-in, found at every later one. */
async function userOfIdentity(account: Account, profile: Profile | undefined): Promise<string> {
  const email = identityEmail(profile);
  return signInWithAccount(webProcess().db, {
    provider: account.provider,
    providerAccountId: account.providerAccountId,
    email,
    name: profile?.name || email,
  });
}

async function startSession(userId: string): Promise<string> {
  const { headers } = await import("next/headers");
  const userAgent = (await headers()).get("user-agent");
  const expiresAt = new Date(Date.now() + SIGN_IN_SECONDS * 1000);
  return withTenant(webProcess().db, userId, async (tenant) => {
    const session = await createAuthSession(tenant, { expiresAt, userAgent });
    await appendAudit(tenant, { actor: `user:${userId}`, action: "auth.sign_in", outcome: "ok" });
    return session.id;
  });
}
