import type { Metadata } from "next";
import { failureOf } from "#ui/failure.ts";
import { MessagePage } from "#ui/message-page.tsx";

export const metadata: Metadata = { title: "Not found" };

export default function NotFound() {
  return <MessagePage failure={failureOf("request.unknown")} />;
}
