/** The guest agent's process. Started by the image's supervisor as root, restarted when it ends. */

import { startupSnapshot } from "node:v8";
import { startAgent } from "./start-agent.ts";

// The image keeps this process as it is after its imports: evaluating them again at each start took most of it.
if (startupSnapshot.isBuildingSnapshot()) startupSnapshot.setDeserializeMainFunction(startAgent);
else startAgent();
