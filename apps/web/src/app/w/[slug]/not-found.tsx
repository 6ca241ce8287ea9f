import { failureOf } from "#ui/failure.ts";
import { MessagePage } from "#ui/message-page.tsx";

export default function NotFound() {
  return <MessagePage failure={failureOf("workspace.not_found")} />;
}
