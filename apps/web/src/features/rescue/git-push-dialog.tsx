"use client";
import type { EgressPreset } from "@atoll/protocol/messages/egress";
import { type FormEvent, useEffect, useState } from "react";
import { Button } from "#ui/button.tsx";
import { Dialog, DialogActions } from "#ui/dialog.tsx";
import { failureOf } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";
import { Field } from "#ui/field.tsx";
import { SelectField } from "#ui/select-field.tsx";
import { Spinner } from "#ui/spinner.tsx";
import { EGRESS_WORDS } from "../dashboard/egress-words.ts";
import { useModelState } from "../use-model-state.ts";
import { type UrlFault, urlFault } from "./git-command.ts";
import type { GitPush, GitPushState, Repository } from "./git-push.ts";
import { workspacePath } from "./view-path.ts";

export interface GitPushDialogProps {
  model: GitPush;
  /** In the view. Undefined: closed. */
  folder: string | undefined;
  egress: EgressPreset;
  onClose: () => void;
}

export function GitPushDialog({ model, folder, egress, onClose }: GitPushDialogProps) {
  const state = useModelState(model.state);
  useEffect(() => {
    if (folder !== undefined) void model.look(folder);
  }, [folder, model]);
  const close = () => {
    model.cancel();
    onClose();
  };
  return (
    <Dialog
      open={folder !== undefined}
      onOpenChange={(open) => !open && close()}
      title="Push to a git remote"
      description="Committed work leaves this stored disk for a server of yours. The workspace itself is not touched."
      className="max-w-xl"
    >
      {folder === undefined ? null : (
        <PushBody state={state} model={model} folder={folder} egress={egress} onClose={close} />
      )}
    </Dialog>
  );
}

function PushBody(props: GitPushDialogProps & { state: GitPushState; folder: string }) {
  const { state, folder, egress, model, onClose } = props;
  const { phase, repository, error } = state;
  if (repository && repository.branches.length > 0) return <PushForm {...props} repository={repository} />;
  return (
    <div className="grid gap-5">
      {phase === "looking" ? (
        <p role="status" className="flex items-center gap-2 text-sm">
          <Spinner className="size-4 text-accent" /> Looking for a repository in {workspacePath(folder)}…
        </p>
      ) : null}
      {phase === "none" ? (
        <p className="text-sm">
          {workspacePath(folder)} is in no git repository. Choose a folder that is, or download it as zip.
        </p>
      ) : null}
      {repository ? (
        <p className="text-sm">
          The repository in {workspacePath(repository.folder)} has no commit yet, so there is nothing to push.
          Download the folder as zip instead.
        </p>
      ) : null}
      {error ? <FailureNote failure={failureOf(error.code)} /> : null}
      {egress === "off" ? <FailureNote failure={failureOf("egress.denied")} /> : null}
      <DialogActions>
        {phase === "failed" ? <Button onClick={() => void model.look(folder)}>Try again</Button> : null}
        <Button onClick={onClose}>Close</Button>
      </DialogActions>
    </div>
  );
}

const URL_WORDS: Record<UrlFault, string> = {
  not_https:
    "An address that begins with https://. Machines reach the network through a web proxy, so ssh leads nowhere.",
  has_password: "Leave name and token out of the address: they have their own fields below.",
};

function PushForm({
  state,
  model,
  egress,
  onClose,
  repository,
}: GitPushDialogProps & { state: GitPushState; repository: Repository }) {
  const { phase, output, error } = state;
  const { branches, current, remoteUrls, uncommittedCount, folder } = repository;
  const [url, setUrl] = useState(remoteUrls.find((known) => urlFault(known) === undefined) ?? "");
  const [branch, setBranch] = useState(current ?? branches[0] ?? "");
  const [user, setUser] = useState("");
  const [token, setToken] = useState("");
  const fault = url === "" ? undefined : urlFault(url);
  const isPushing = phase === "pushing";
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void model.push({ folder, url, branch, user, token });
  };
  return (
    <form onSubmit={submit} className="grid gap-4">
      {egress === "open" ? null : (
        <p className="rounded-lg border border-line bg-warn-soft px-3 py-2 text-sm">
          This workspace's network is “{EGRESS_WORDS[egress].label}”. {EGRESS_WORDS[egress].hint} To reach
          other servers choose “Open” in the workspace's menu first.
        </p>
      )}
      {uncommittedCount > 0 ? (
        <p className="text-ink-soft text-sm">
          {uncommittedCount} changed {uncommittedCount === 1 ? "file is" : "files are"} in no commit and will
          not be pushed. Download {uncommittedCount === 1 ? "it" : "them"} as well.
        </p>
      ) : null}
      <p className="font-mono text-ink-faint text-xs">{workspacePath(folder)}</p>
      <Field
        label="Remote address"
        type="url"
        value={url}
        onChange={(event) => setUrl(event.target.value)}
        placeholder="https://git.example/you/project.git"
        required
        error={fault ? URL_WORDS[fault] : undefined}
      />
      <SelectField label="Branch" value={branch} onChange={(event) => setBranch(event.target.value)}>
        {branches.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </SelectField>
      <div className="grid grid-cols-2 gap-3">
        <Field
          label="User name"
          value={user}
          onChange={(event) => setUser(event.target.value)}
          autoComplete="off"
          hint="If the server asks for one"
        />
        <Field
          label="Token"
          type="password"
          value={token}
          onChange={(event) => setToken(event.target.value)}
          autoComplete="off"
          hint="Used for this push, kept nowhere"
        />
      </div>
      {output === "" ? null : (
        <pre
          role="log"
          aria-label="Output of git"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: output that scrolls must be reachable by keys
          tabIndex={0}
          className="max-h-48 overflow-auto rounded-lg border border-line bg-sunken p-3 font-mono text-xs"
        >
          {output}
        </pre>
      )}
      <p role="status" className="text-sm">
        {phase === "pushed" ? `Pushed ${branch}. It is safe on the server.` : ""}
      </p>
      {error ? (
        // The workspace's own network setting comes before the server's faults.
        <FailureNote
          failure={failureOf(
            error.code === "git.unreachable" && egress !== "open" ? "egress.denied" : error.code,
          )}
        />
      ) : null}
      <DialogActions>
        {isPushing ? (
          <Button onClick={() => model.cancel()}>Stop</Button>
        ) : (
          <Button onClick={onClose}>Close</Button>
        )}
        <Button
          type="submit"
          tone="primary"
          disabled={isPushing || url === "" || fault !== undefined || branch === "" || egress === "off"}
        >
          {isPushing ? <Spinner /> : null}
          Push
        </Button>
      </DialogActions>
    </form>
  );
}
