"use server";
/** Form actions. Next refuses them from another origin; they work without script too. */
import { revokeAuthSession } from "@atoll/db/auth-sessions";
import { withTenant } from "@atoll/db/with-tenant";
import { AtollError } from "@atoll/protocol/atoll-error";
import { type ErrorCode, isErrorCode } from "@atoll/protocol/errors";
import { headers } from "next/headers";
import { redirect } from "next/navigation";
import { AuthError } from "next-auth";
import { env } from "#env.ts";
import { registerUser } from "../domain/auth/register-user.ts";
import { log } from "../log.ts";
import { webProcess } from "../web-process.ts";
import { signIn, signOut } from "./auth-config.ts";
import { clientAddress } from "./client-address.ts";
import { signInInput, signUpInput } from "./credentials.schema.ts";
import { currentSession } from "./current-session.ts";
import { safeCallbackPath } from "./safe-callback-path.ts";

export interface AuthFormState {
  code?: ErrorCode;
  /** Names of the fields to correct. */
  fields?: string[];
  /** What was typed, without the password, so that nothing has to be typed twice. */
  values?: { name: string; email: string };
}

export async function signInAction(_previous: AuthFormState, form: FormData): Promise<AuthFormState> {
  const values = typed(form);
  const input = signInInput.safeParse(Object.fromEntries(form));
  if (!input.success) return { code: "auth.invalid_credentials", values };
  const code = await startSignIn(input.data);
  if (code) return { code, values };
  redirect(safeCallbackPath(form.get("callbackUrl")));
}

export async function signUpAction(_previous: AuthFormState, form: FormData): Promise<AuthFormState> {
  const values = typed(form);
  const input = signUpInput.safeParse(Object.fromEntries(form));
  if (!input.success) {
    const fields = [...new Set(input.error.issues.map((issue) => String(issue.path[0])))];
    return { code: "request.invalid", fields, values };
  }
  const { db, limits } = webProcess();
  try {
    const address = clientAddress(await headers(), env().trustedProxies);
    await registerUser({ db, signUps: limits.signUps, address }, input.data);
  } catch (error) {
    if (error instanceof AtollError) return { code: error.code, values };
    log().error({ err: error }, "sign-up failed");
    return { code: "internal", values };
  }
  const code = await startSignIn({ email: input.data.email, password: input.data.password });
  if (code) return { code, values };
  redirect(safeCallbackPath(form.get("callbackUrl")));
}

export async function signInWithProviderAction(form: FormData): Promise<void> {
  await signIn("oidc", { redirectTo: safeCallbackPath(form.get("callbackUrl")) });
}

export async function signOutAction(): Promise<void> {
  const session = await currentSession();
  if (session) {
    const { db, endedSignIns } = webProcess();
    const { id: userId } = session.user;
    const authSessionId = session.session.id;
    await withTenant(db, userId, (tenant) => revokeAuthSession(tenant, authSessionId));
    // Open tabs and previews end within a second; a host that is away hears of it when it is back.
    await endedSignIns.ended(userId, authSessionId).catch((error: unknown) => {
      log().warn({ err: error }, "live sessions not ended");
    });
  }
  await signOut({ redirectTo: "/" });
}

function typed(form: FormData): { name: string; email: string } {
  const text = (name: string) => String(form.get(name) ?? "").slice(0, 254);
  return { name: text("name"), email: text("email") };
}

/** The code of the refusal, or undefined when the cookie is set. */
async function startSignIn(input: { email: string; password: string }): Promise<ErrorCode | undefined> {
  try {
    await signIn("credentials", { ...input, redirect: false });
    return undefined;
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    const code = "code" in error ? error.code : undefined;
    if (isErrorCode(code)) return code;
    log().error({ err: error }, "sign-in failed");
    return "internal";
  }
}
