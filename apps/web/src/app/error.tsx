"use client";
import { Button } from "#ui/button.tsx";
import { failureOf } from "#ui/failure.ts";
import { MessagePage } from "#ui/message-page.tsx";

export default function ErrorPage({ error, reset }: { error: Error; reset: () => void }) {
  // The bundler's own name for a part of the page that is not there any more: the service was updated meanwhile.
  if (error.name === "ChunkLoadError")
    return (
      <MessagePage
        failure={{
          ...failureOf("internal"),
          what: "This page is from before an update.",
          why: "The service was updated while it was open, so a part of it could not be loaded.",
          now: "Reload it; what you typed is kept.",
        }}
        actions={
          <Button tone="primary" onClick={() => location.reload()}>
            Reload
          </Button>
        }
      />
    );
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
