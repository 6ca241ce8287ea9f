import { BarOutline } from "#ui/bar-outline.tsx";

/** The page's outline, drawn by the server so that nothing jumps when the rest arrives. */
export function RescueFrame({ name }: { name: string }) {
  return (
    <div className="flex h-dvh flex-col overflow-hidden" aria-busy="true">
      <BarOutline name={name} />
      <div className="min-h-9 shrink-0 border-line border-b bg-info-soft" />
      <div className="flex min-h-0 flex-1">
        <div className="w-80 border-line border-r bg-canvas" />
        <div className="flex-1 bg-surface" />
      </div>
    </div>
  );
}
