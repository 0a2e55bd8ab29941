import { hostedRoom, relayAddress, rememberHosting, roomInAddress, showInAddress } from "./address.js";
import { cleanLine } from "./clean-text.js";
import { RoomView } from "./view/room-view.js";
import { StartView } from "./view/start-view.js";
import { find } from "./view/template.js";

const main = find(document, "main", HTMLElement);
const pageTitle = document.title;

const start = new StartView((name, role) => room.enter(name, role));

const room = new RoomView(relayAddress(), {
  onEnter(name, role) {
    start.hide();
    showInAddress(name);
    rememberHosting(role === "host" ? name : undefined);
    document.title = `${cleanLine(name)} · ${pageTitle}`;
  },
  onLeft() {
    showInAddress(undefined);
    rememberHosting(undefined);
    showStart();
  },
});

function showStart(): void {
  main.dataset.state = "start";
  document.title = pageTitle;
  start.show();
}

function followAddress(): void {
  const name = roomInAddress();
  if (name === undefined) room.leave();
  else room.enter(name, name === hostedRoom() ? "host" : "guest");
}

addEventListener("hashchange", followAddress);
followAddress();
