/** Starts what the page at hand needs. */

import { liveCalls, oneCall } from "./calls";
import { useDialogs } from "./dialogs";
import { handset, popupFeed } from "./handset";
import { useKeys } from "./keys";
import { recordingPage } from "./player";
import { useOwnZone } from "./times";

const PAGES: Record<string, () => void> = {
  live: liveCalls,
  call: oneCall,
  popups: popupFeed,
  handset,
  recording: recordingPage,
};

useOwnZone();
useDialogs();
useKeys();
PAGES[document.body.dataset["page"] ?? ""]?.();
