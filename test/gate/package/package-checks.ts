import { expectSuccess } from "../command.ts";
import { withTarball } from "./tarball.ts";

export const checkPublint = () => withTarball((tarball) => expectSuccess("publint", ["run", tarball, "--strict"]));

export const checkAttw = () =>
  withTarball((tarball) =>
    expectSuccess("attw", [tarball, "--profile", "esm-only", "--format", "ascii", "--no-color", "--no-emoji"]),
  );
