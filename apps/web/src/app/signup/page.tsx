import type { Metadata } from "next";
import { redirect } from "next/navigation";
import { env } from "#env.ts";
import { AuthPage } from "#features/auth/auth-page.tsx";
import { ProviderButton } from "#features/auth/provider-button.tsx";
import { SignUpForm } from "#features/auth/sign-up-form.tsx";
import { currentSession } from "#server/auth/current-session.ts";
import { safeCallbackPath } from "#server/auth/safe-callback-path.ts";

export const metadata: Metadata = { title: "Create an account" };

export default async function Page({ searchParams }: PageProps<"/signup">) {
  const callbackUrl = safeCallbackPath((await searchParams).callbackUrl);
  if (await currentSession()) redirect(callbackUrl);
  const { oidc } = env();
  const suffix = callbackUrl === "/" ? "" : `?callbackUrl=${encodeURIComponent(callbackUrl)}`;
  return (
    <AuthPage
      title="Create an account"
      lead="A machine of your own, ready in about a second."
      other={{ question: "Have an account?", label: "Sign in", href: `/signin${suffix}` }}
    >
      {oidc ? <ProviderButton name={oidc.name} callbackUrl={callbackUrl} /> : null}
      <SignUpForm callbackUrl={callbackUrl} />
    </AuthPage>
  );
}
