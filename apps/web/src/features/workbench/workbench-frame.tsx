import { BarOutline } from "#ui/bar-outline.tsx";

/** The workbench's outline, drawn by the server so that the page is there at once and nothing jumps later. */
export function WorkbenchFrame({ name }: { name: string }) {
  return (
    <div className="flex h-dvh flex-col overflow-hidden" aria-busy="true">
      <BarOutline name={name} />
      <div className="flex min-h-0 flex-1">
        <div className="w-11 border-line border-r bg-canvas" />
        <div className="w-65 border-line border-r bg-canvas" />
        <div className="flex flex-1 flex-col bg-surface">
          <div className="flex-1" />
          <div className="h-[38%] border-line border-t" />
        </div>
      </div>
      <div className="h-7 shrink-0 border-line border-t bg-canvas" />
    </div>
  );
}
