import { PLAN_NAMES, PLANS, type PlanName } from "@atoll/protocol/plans";
import { classNames } from "#ui/class-names.ts";
import { gigabytes } from "#ui/machine-size.ts";

const HEADINGS = ["Plan", "CPU", "Memory", "Disk", "Tabs", "Workspaces"];

export function PlanTable({ current }: { current: PlanName }) {
  return (
    <div className="overflow-x-auto">
      <table className="w-full text-left text-sm tabular-nums">
        <thead>
          <tr className="border-line border-b text-ink-faint text-xs">
            {HEADINGS.map((heading) => (
              <th key={heading} scope="col" className="px-5 py-2.5 font-medium">
                {heading}
              </th>
            ))}
          </tr>
        </thead>
        <tbody className="divide-y divide-line">
          {PLAN_NAMES.map((name) => {
            const plan = PLANS[name];
            const isCurrent = name === current;
            return (
              <tr
                key={name}
                className={classNames(isCurrent && "bg-accent-soft")}
                aria-current={isCurrent || undefined}
              >
                <th scope="row" className="px-5 py-2.5 font-medium">
                  {plan.label}
                  {isCurrent ? <span className="ml-2 font-normal text-accent-ink text-xs">yours</span> : null}
                </th>
                <td className="px-5 py-2.5">{plan.cpus}</td>
                <td className="px-5 py-2.5">{gigabytes(plan.memoryMb)}</td>
                <td className="px-5 py-2.5">{gigabytes(plan.diskMb)}</td>
                <td className="px-5 py-2.5">{plan.maxSessions}</td>
                <td className="px-5 py-2.5">{plan.maxWorkspaces}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
