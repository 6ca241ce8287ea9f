import { cva, type VariantProps } from "class-variance-authority";
import { Slot } from "radix-ui";
import type { ComponentProps } from "react";
import { classNames } from "./class-names.ts";

export const buttonLook = cva(
  "inline-flex shrink-0 select-none items-center justify-center gap-1.5 whitespace-nowrap rounded-md font-medium transition-colors duration-100 disabled:pointer-events-none disabled:opacity-50 aria-disabled:pointer-events-none aria-disabled:opacity-50 [&_svg]:size-4 [&_svg]:shrink-0",
  {
    variants: {
      tone: {
        primary: "bg-accent text-on-accent shadow-low hover:bg-accent-strong",
        plain: "border border-line-strong bg-surface text-ink shadow-low hover:bg-hover active:bg-active",
        ghost: "text-ink-soft hover:bg-hover hover:text-ink active:bg-active",
        danger:
          "border border-line-strong bg-surface text-danger shadow-low hover:border-danger hover:bg-danger-soft",
        dangerSolid: "bg-danger text-surface shadow-low hover:bg-danger-strong",
      },
      size: {
        sm: "h-7 px-2.5 text-xs",
        md: "h-8 px-3 text-sm",
        lg: "h-10 px-4 text-base",
        icon: "size-8",
        iconSm: "size-6 rounded-sm",
      },
    },
    defaultVariants: { tone: "plain", size: "md" },
  },
);

export type ButtonProps = ComponentProps<"button"> & VariantProps<typeof buttonLook> & { asChild?: boolean };

export function Button({ className, tone, size, asChild = false, type = "button", ...rest }: ButtonProps) {
  const look = classNames(buttonLook({ tone, size }), className);
  if (asChild) return <Slot.Root className={look} {...rest} />;
  return <button type={type} className={look} {...rest} />;
}
