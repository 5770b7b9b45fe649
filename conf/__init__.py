"""The settings' defaults: one YAML file a command, one folder a group; installed as `brats_unet.conf`."""
