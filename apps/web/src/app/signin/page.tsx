import { isErrorCode } from "@atoll/protocol/errors";
import type { Metadata } from "next";
import { redirect } from "next/navigation";
import { env } from "#env.ts";
import { AuthPage } from "#features/auth/auth-page.tsx";
import { ProviderButton } from "#features/auth/provider-button.tsx";
import { SignInForm } from "#features/auth/sign-in-form.tsx";
import { currentSession } from "#server/auth/current-session.ts";
import { safeCallbackPath } from "#server/auth/safe-callback-path.ts";
import { failureOf } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";

export const metadata: Metadata = { title: "Sign in" };

export default async function Page({ searchParams }: PageProps<"/signin">) {
  const query = await searchParams;
  const callbackUrl = safeCallbackPath(query.callbackUrl);
  if (await currentSession()) redirect(callbackUrl);
  const { oidc } = env();
  const suffix = callbackUrl === "/" ? "" : `?callbackUrl=${encodeURIComponent(callbackUrl)}`;
  return (
    <AuthPage
      title="Welcome back"
      lead="Your machines are where you left them."
      other={{ question: "New here?", label: "Create an account", href: `/signup${suffix}` }}
    >
      {query.error ? (
        <FailureNote
          failure={failureOf(isErrorCode(query.error) ? query.error : "auth.required")}
          className="mb-4"
        />
      ) : null}
      {oidc ? <ProviderButton name={oidc.name} callbackUrl={callbackUrl} /> : null}
      <SignInForm callbackUrl={callbackUrl} />
    </AuthPage>
  );
}
