<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_checkout;

use Drupal\Core\Entity\EntityTypeManagerInterface;
use Drupal\Core\Extension\ModuleUninstallValidatorInterface;
use Drupal\Core\StringTranslation\StringTranslationTrait;

/**
 * Keeps the module while a shipping method needs it.
 *
 * Without its plugin such a method would break every page that loads it.
 */
class UninstallValidator implements ModuleUninstallValidatorInterface {

  use StringTranslationTrait;

  public function __construct(private readonly EntityTypeManagerInterface $entityTypeManager) {}

  /**
   * {@inheritdoc}
   */
  public function validate($module): array {
    if ($module !== 'commerce_waybill_checkout' || !$this->entityTypeManager->hasDefinition('commerce_shipping_method')) {
      return [];
    }
    $count = $this->entityTypeManager->getStorage('commerce_shipping_method')->getQuery()
      ->accessCheck(FALSE)
      ->condition('plugin.target_plugin_id', 'waybill_quote')
      ->count()
      ->execute();
    return $count ? [$this->t('There are shipping methods of the kind "Waybill quote"')] : [];
  }

}
