// The page of a product: its spin turns by dragging, by its slider and with the arrow keys.
import { makeSpinnable } from "./viewers.js";

makeSpinnable(document);
