import { Button, type ButtonProps } from "./button.tsx";
import { DialogActions } from "./dialog.tsx";
import { Spinner } from "./spinner.tsx";

export interface FormActionsProps {
  /** Says what sending the form does. */
  submit: string;
  onCancel: () => void;
  cancel?: string;
  tone?: Extract<ButtonProps["tone"], "primary" | "dangerSolid">;
  isBusy?: boolean;
  /** It cannot be sent as it is. */
  disabled?: boolean;
}

/** The end of a dialog's form: the way out, and the button that sends it and turns while it is under way. */
export function FormActions(props: FormActionsProps) {
  const { submit, onCancel, cancel = "Cancel", tone = "primary", isBusy = false, disabled = false } = props;
  return (
    <DialogActions>
      {/* Nothing is kept by cancelling once it goes. */}
      <Button onClick={onCancel} disabled={isBusy && tone === "dangerSolid"}>
        {cancel}
      </Button>
      <Button type="submit" tone={tone} disabled={isBusy || disabled}>
        {isBusy ? <Spinner /> : null}
        {submit}
      </Button>
    </DialogActions>
  );
}
