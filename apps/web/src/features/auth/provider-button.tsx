import { KeyRound } from "lucide-react";
import { signInWithProviderAction } from "#server/auth/actions.ts";
import { Button } from "#ui/button.tsx";

export function ProviderButton({ name, callbackUrl }: { name: string; callbackUrl: string }) {
  return (
    <>
      <form action={signInWithProviderAction}>
        <input type="hidden" name="callbackUrl" value={callbackUrl} />
        <Button type="submit" size="lg" className="w-full">
          <KeyRound aria-hidden />
          Continue with {name}
        </Button>
      </form>
      <div className="my-5 flex items-center gap-3 text-ink-faint text-xs before:h-px before:flex-1 before:bg-line after:h-px after:flex-1 after:bg-line">
        or with e-mail
      </div>
    </>
  );
}
