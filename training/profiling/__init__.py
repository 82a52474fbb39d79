"""Where a training's time goes: phases of its steps, the machine's load, a trace, and rules that read all of them."""
