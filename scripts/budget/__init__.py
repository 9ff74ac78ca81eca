"""What the GPU kernels cost, by counting: compiling without a GPU, reading the machine code, a roofline."""
