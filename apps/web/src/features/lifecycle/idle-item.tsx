"use client";
import { PLAN_TIMES } from "@atoll/protocol/plans";
import { Check, Coffee, MoonStar } from "lucide-react";
import { dateWords, durationWords } from "#ui/date-words.ts";
import { Menu, MenuItem, MenuLabel } from "#ui/menu.tsx";
import { useNow } from "#ui/use-now.ts";
import { useModelState } from "../use-model-state.ts";
import { useModels } from "../workbench/models-context.tsx";
import { idleOutlook, leaseChoices } from "./idle-outlook.ts";
import type { IdleWarningProps } from "./idle-warning.tsx";
import { useKeepAwake } from "./use-keep-awake.ts";

/** In the status bar: why it is awake or when it pauses; a click offers to keep it running. */
export function IdleItem({ workspaceId, plan, idlePauseSeconds }: IdleWarningProps) {
  const { connection } = useModels();
  const { status } = useModelState(connection.state);
  const now = useNow(5000);
  const keepAwake = useKeepAwake(workspaceId);
  const outlook = status && now !== undefined ? idleOutlook(status, idlePauseSeconds, now) : undefined;
  if (!outlook || now === undefined) return null;
  return (
    <Menu
      align="start"
      trigger={
        <button
          type="button"
          title={outlook.detail}
          aria-label={`${outlook.line}. Keep awake…`}
          className="flex h-5 min-w-0 cursor-default items-center gap-1.5 rounded-sm px-1.5 hover:bg-hover"
        >
          <MoonStar aria-hidden className="size-3 shrink-0" />
          <span className="truncate">{outlook.line}</span>
        </button>
      }
    >
      <MenuLabel>
        <span className="block max-w-64">{outlook.detail}</span>
      </MenuLabel>
      {leaseChoices(PLAN_TIMES[plan].keepAwakeMaxSeconds).map((seconds) => (
        <MenuItem key={seconds} onSelect={() => keepAwake(seconds)}>
          <Coffee aria-hidden /> Keep running for {durationWords(seconds)}
        </MenuItem>
      ))}
      {outlook.leaseUntilMs === undefined ? null : (
        <MenuItem onSelect={() => keepAwake(0)}>
          <Check aria-hidden /> Do not wait until {dateWords(outlook.leaseUntilMs, now)}
        </MenuItem>
      )}
    </Menu>
  );
}
