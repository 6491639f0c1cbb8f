"""Analytic benchmarks: what textbooks say the stages of the market must give, with residuals."""
