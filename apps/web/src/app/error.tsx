"use client";
import { Button } from "#ui/button.tsx";
import { failureOf } from "#ui/failure.ts";
import { MessagePage } from "#ui/message-page.tsx";

export default function ErrorPage({ reset }: { error: Error; reset: () => void }) {
  return (
    <MessagePage
      failure={failureOf("internal")}
      actions={
        <Button tone="primary" onClick={reset}>
          Try again
        </Button>
      }
    />
  );
}
